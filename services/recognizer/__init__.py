"""Recognition: pictures in, plates and vehicles out. Everything about models and pixels lives in this package."""
