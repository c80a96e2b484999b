"""What people run beside the stages."""
