#!/bin/bash
# Train a conditional GAN, export its generator to ONNX, and use it without this package.
# Needs pip install '.[onnx]'.
#
#     bash export_onnx.sh [updates]
set -e

lightning-gans fit --config cgan_ring --trainer.max_steps ${1:-3000}
lightning-gans export --ckpt_path runs/cgan_ring --out ring.onnx
python use_onnx.py ring.onnx
