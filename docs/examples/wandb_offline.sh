#!/bin/bash
# Log to Weights & Biases on a machine without a network or an account. The run is recorded in its
# folder, and the command that uploads it is printed at the end.
#
#     bash wandb_offline.sh [updates]
set -e

lightning-gans fit --config wgan_gp_ring_tuned --name wandb_example \
    --trainer.max_steps ${1:-2000} \
    --trainer.logger WandB --trainer.logger.offline true \
    --trainer.logger.project examples --trainer.logger.tags '[ring,example]'

# Later, on a machine with a network:
# wandb login
# wandb sync runs/wandb_example/version_0/wandb/offline-run-*
