"""The executor that hands work to workers on other machines, through a broker."""
