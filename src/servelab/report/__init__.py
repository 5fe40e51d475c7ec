"""What a finished study says: summary, plots, recommendation, exports."""
