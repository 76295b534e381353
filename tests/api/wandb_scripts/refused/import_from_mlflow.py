"""Import runs from an MLflow server.

After: docs, track, public API: import data from MLflow
Can't: artstore.apis.importers is not here: `artstore import` imports from MLflow and W&B
"""

from artstore.apis.importers.mlflow import MlflowImporter

importer = MlflowImporter(mlflow_tracking_uri="mlruns")
importer.import_runs(importer.collect_runs())
