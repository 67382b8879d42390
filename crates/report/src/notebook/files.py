# The files
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

folder = Path.cwd()
verdict = json.loads((folder / "verdict.json").read_text())
demo = "DEMO: " if verdict["demo"] else ""
metric = verdict["metric"]
print(f"{demo}{verdict['experiment']['name']}: verdict {verdict['verdict']} on {metric}, margin {verdict['margin']}")
