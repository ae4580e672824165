"""Names in the folder of a trained DCGAN. Importing this needs no TensorFlow."""

ENCODER_FOLDER = "context-encoder"  # subfolder for its context encoder
PHOTO_ENCODER_FOLDER = "photo-encoder"  # the same for its photo encoder
