"""The HTTP doors: routes, middleware, schemas, byte ranges, push."""
