# Generate samples from an exported conditional generator. Needs only NumPy and ONNX Runtime.
#
#     python use_onnx.py ring.onnx
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
latent_dim = session.get_inputs()[0].shape[1]
latent = np.random.default_rng(0).normal(size=(16, latent_dim)).astype(np.float32)
label = np.arange(16, dtype=np.int64) % 8

# An unconditional generator has the input "latent" only.
(samples,) = session.run(["sample"], {"latent": latent, "label": label})
print(f"{len(samples)} samples of shape {samples.shape[1:]}")
