"""The specification of model_export."""
