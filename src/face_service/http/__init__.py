"""HTTP around the routes: connections, shutdown, middleware, errors, OpenAPI document."""
