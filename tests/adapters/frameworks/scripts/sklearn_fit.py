"""A script with scikit-learn, as W&B's users write it: config, metrics, a table, the model as an artifact."""

import joblib
import wandb
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import train_test_split

run = wandb.init(project="forests", id="iris", config={"trees": 5, "depth": 2})
config = wandb.config
x, y = load_iris(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
model = RandomForestClassifier(config.trees, max_depth=config.depth, random_state=0).fit(x_train, y_train)
answers = model.predict(x_test)
wandb.log({"accuracy": accuracy_score(y_test, answers), "depths": [tree.get_depth() for tree in model.estimators_]})
wandb.summary["confusion"] = confusion_matrix(y_test, answers)
wandb.log(
    {"answers": wandb.Table(columns=["right", "answer"], data=list(map(list, zip(y_test, answers, strict=True))))}
)
joblib.dump(model, "model.joblib")
artifact = wandb.Artifact("forest", type="model", metadata=dict(config))
artifact.add_file("model.joblib")
run.log_artifact(artifact, aliases=["best"])
wandb.alert("done", text="trained", level=wandb.AlertLevel.INFO)
wandb.finish()
