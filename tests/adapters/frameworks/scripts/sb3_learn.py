"""Stable-Baselines3 with W&B's callback."""

import wandb
from stable_baselines3 import PPO
from wandb.integration.sb3 import WandbCallback

with wandb.init(project="games", id="ppo", config={"env": "CartPole-v1"}):
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, batch_size=32, n_epochs=1, device="cpu", seed=0)
    model.learn(128, callback=WandbCallback(model_save_path="models", gradient_save_freq=100))
