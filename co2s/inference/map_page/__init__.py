"""A local web page of a scene and its maps, on Bokeh's server (the extra `web`)."""
