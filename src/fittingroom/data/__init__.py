"""What the models try on: datasets, the files they come in, splits, and the sealed test set.

The way of a dataset through the modules:

1. `load.load` takes a name or a path. Names are looked up in the table of `catalogue`; `find` says what is at a path.
2. Where the `cache` has the checked contents and the files have not changed, nothing else is read.
3. Else a reader makes a `cache.DatasetSource` of the files: `published` for the datasets of the catalogue (with their
   download), `idx`, `npz`, `csvfile`, or `decode` for folders of pictures, which `folder` scans (on
   `listing` and `metadata`), `pictures` decodes (on `headers`) and `resizing` makes images of. `sniff` names a file by
   its first bytes.
4. A reader gives a `contents.RawDataset`, whose `checked()` gives the `Contents`: `values` converts arrays, `labels`
   names the classes, and `split` cuts off a test part where there is none.
5. `load` cuts off the validation part and gives a `dataset.Dataset` with a sealed test part; `dataset_card` shows it.

A dataset that comes as a ZIP is unpacked by `archive` first, which trusts nothing in it (`archive_members`).

Images to predict come through `model_inputs`, and `ranges` compares their values with those of training. This package
imports nothing by itself, so that the table of datasets can be listed without NumPy.
"""
