"""Events of other makers' cameras, as sightings for the spool. Pure: no network, no file, no clock.

What takes such events from a camera (it posts them by HTTP) is not here yet.
"""
