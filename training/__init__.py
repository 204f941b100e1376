"""How the models of the recognizer were made: data, generator, training, export, evaluation. Not installed."""
