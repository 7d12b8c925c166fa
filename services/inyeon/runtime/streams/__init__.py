"""The one stream protocol, server side; used by Observe, Seek and Converse."""
