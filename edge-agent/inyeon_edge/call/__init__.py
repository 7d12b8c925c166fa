"""The call with the partner: signalling, WebRTC, tracks."""
