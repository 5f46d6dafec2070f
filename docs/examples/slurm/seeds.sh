#!/bin/bash
# A job array over five seeds. Each run has its own name. Submit it with: sbatch seeds.sh
#SBATCH --job-name=seeds
#SBATCH --array=0-4
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --requeue
#SBATCH --signal=SIGUSR1@60

source "$SLURM_SUBMIT_DIR/environment.sh"

srun lightning-gans fit --config wgan_gp_ring --seed_everything $SLURM_ARRAY_TASK_ID \
    --name wgan_gp_ring_seed$SLURM_ARRAY_TASK_ID --ckpt_path auto --trainer.accelerator cpu
