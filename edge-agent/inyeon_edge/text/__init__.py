"""Words of the person, encoded on the device."""
