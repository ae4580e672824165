"""Complete the centre of an aligned face with a model exported by ./export.py --format savedmodel.

python complete-with-tensorflow.py MODEL FACE.png COMPLETED.png
"""

import sys

import numpy as np
import tensorflow as tf
from PIL import Image

folder, face, completed = sys.argv[1:]
model = tf.saved_model.load(folder)
network = model.signatures
size = network["discriminate"].structured_input_signature[1]["images"].shape[1]
z_dim = network["generate"].structured_input_signature[1]["z"].shape[1]
photo = np.asarray(Image.open(face).convert("RGB").resize((size, size)), np.float32) / 127.5 - 1
mask = np.ones([size, size, 1], np.float32)  # 1 = known, unlike the masks of the commands
mask[size // 4 : -size // 4, size // 4 : -size // 4] = 0
z = np.random.default_rng(0).uniform(-1, 1, [8, z_dim]).astype(np.float32)  # 8 searches at once
known = {"images": tf.stack([photo] * 8), "mask": tf.stack([mask] * 8), "lam": tf.constant(0.1)}
m = v = np.zeros_like(z)  # Adam's means of the gradient and of its square
losses = np.full(len(z), np.inf)
for t in range(1, 201):
    found = network["completion_loss"](z=tf.constant(z), **known)
    gradient, losses = found["gradient"].numpy(), found["total"].numpy()
    m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
    step = 0.03 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    z = np.clip(z - step, -1, 1)
    if t % 50 == 1:
        print(f"iteration {t}: loss {losses.min():.1f}")
best = tf.constant(z[[np.argmin(losses)]])
made = network["generate"](z=best)["images"].numpy()[0]
pixels = (mask * photo + (1 - mask) * made + 1) * 127.5
Image.fromarray(np.rint(pixels).astype(np.uint8)).save(completed)
