#!/bin/bash
# One job with one GPU. Submit it with: sbatch single.sh
#SBATCH --job-name=digits
#SBATCH --ntasks=1
#SBATCH --gpus=1
#SBATCH --cpus-per-task=4
#SBATCH --time=02:00:00

source "$SLURM_SUBMIT_DIR/environment.sh"

# Download the data first, on a node with a network:
#     lightning-gans prepare --data MNIST --data.data_dir data
srun lightning-gans fit --config wdcgan_gp_mnist_tuned --data.data_dir data \
    --trainer.precision bf16-mixed
