// The API's description, made from the schemas that validate, and a page to try it.
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import type { App } from './app.ts'

const description = `Messages, history and administration of ClearBox. Log in with \`POST /v1/auth/login\` and send the
access token as \`Authorization: Bearer …\`. Faults are problems (RFC 9457).`

const logo = Buffer.from(
  `<svg xmlns="http://www.w3.org/2000/svg" width="150" height="40"><text x="4" y="27" fill="#fff"
  font-family="sans-serif" font-size="22">ClearBox</text></svg>`,
)

/** Sees the routes that are registered after it. GET /openapi.json; GET /docs is the page. */
export function openapi(app: App, version: string): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'ClearBox', version, description },
      tags: [
        { name: 'login', description: 'Tokens' },
        { name: 'chat', description: 'Messages between accounts' },
        { name: 'topics', description: 'Plain topics' },
        { name: 'admin', description: 'For administrators' },
        { name: 'server', description: 'State of the server' },
      ],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
    },
    transform: jsonSchemaTransform,
  })
  app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { docExpansion: 'list', persistAuthorization: false },
    theme: { title: 'ClearBox API' },
    logo: { type: 'image/svg+xml', content: logo },
  })
  app.register(async (scope) => {
    scope.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  })
}
