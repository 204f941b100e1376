"""The camera gateway: frames to the recognizer, sightings to a spool on disk, the spool to ``reads``."""
