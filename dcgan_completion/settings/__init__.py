"""The options of all commands, each described once; needs no TensorFlow."""
