"""Instead of the hook that PyInstaller has: it asks for `webrtcvad`, and ours is its fork."""

from PyInstaller.utils.hooks import copy_metadata

datas = copy_metadata("webrtcvad-wheels")
