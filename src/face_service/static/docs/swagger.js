// Starts Swagger UI on the document of the service that serves this page.
SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null, // the default sends the document's address to swagger.io
});
