"""What nnU-Net looks up by name: the folder that ``nnUNet_extTrainer`` points to holds our trainer alone."""
