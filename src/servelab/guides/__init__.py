"""llm-d guides become benchmark scenarios and experiments, and every value says where it comes from."""
