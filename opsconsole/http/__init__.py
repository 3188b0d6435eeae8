"""The face for other programs: health, triggers, and what packs answer, over HTTP."""
