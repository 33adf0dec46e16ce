"""Uploads: the one place where every door's uploads end.

`service.Uploads.begin` gives a `Receiving`; its `finish` gives a `Stored`. Those that can be resumed are in `sessions`.
"""
