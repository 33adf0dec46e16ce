"""Uploads: the one place where every door's uploads end.

`Uploads.begin` gives a `Receiving`; its `finish` gives a `Stored`. Unfinished ones that can be resumed are in `sessions`.
"""
