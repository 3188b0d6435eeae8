"""The console in a browser: a web server, who may use it, and a console process for each tab."""
