"""The browser application: `application` mounts the routes of each view, `studio` has what all views share."""
