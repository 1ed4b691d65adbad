"""Networks, pictures on their way into them, pretrained weights, losses and the one training loop."""
