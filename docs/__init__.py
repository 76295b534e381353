"""The documents, and the script that writes what they quote from the code."""
