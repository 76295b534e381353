"""Callbacks for frameworks, for users' imports: `from artstore.integration.keras import WandbMetricsLogger`."""
