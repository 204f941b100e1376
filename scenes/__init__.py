"""Generated street scenes with labels, for the demo, the tests and the training of the models.

Photographs of real plates cannot be published; these can. Everything is drawn from a seed with open fonts and with
lettering that no font has, and nobody is in the picture.
"""
