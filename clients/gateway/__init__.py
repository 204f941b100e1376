"""The camera gateway: frames to the recognizer, sightings into a durable spool, reads into the store."""
