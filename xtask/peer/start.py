"""What `mmc train` does before its first step, as a user of PyTorch and transformers would type it.

    .python/bin/python xtask/peer/start.py CHECKPOINT TRAIN.csv

Imports, reads the texts, loads model and tokenizer, makes the optimizer and the first batch, says that the
first step begins, and ends.
"""

import csv
import sys

import torch
import transformers

folder, table = sys.argv[1:]
rows = list(csv.DictReader(open(table)))
labels = sorted({row["label"] for row in rows})
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model = transformers.AutoModelForSequenceClassification.from_pretrained(
    folder, num_labels=len(labels), ignore_mismatched_sizes=True
)
model.train()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)
order = torch.randperm(len(rows))[:16].tolist()
batch = tokenizer([rows[row]["text"] for row in order], padding=True, truncation=True, return_tensors="pt")
targets = torch.tensor([labels.index(rows[row]["label"]) for row in order])
print(f"step 1 begins: {tuple(batch['input_ids'].shape)}, {tuple(targets.shape)}", file=sys.stderr, flush=True)
