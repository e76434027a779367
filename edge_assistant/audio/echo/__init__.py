"""What the loudspeaker says must not be taken for what the user says."""
