// compose.yaml: what a person gets who only fills in .env.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { root } from '../helpers/process.ts'

type Service = Readonly<{
  profiles?: readonly string[]
  ports?: readonly string[]
  environment?: Readonly<Record<string, string>>
  healthcheck?: unknown
  build?: string
}>

const text = readFileSync(join(root, 'compose.yaml'), 'utf8')
const services = Object.entries((parse(text) as { services: Record<string, Service> }).services)
const environment = services.flatMap(([, service]) => Object.entries(service.environment ?? {}))

test('no password has a default: a missing one is told by its name', () => {
  const passwords = environment.filter(([name]) => /PASSWORD|URL/.test(name))
  expect(passwords.length).toBe(3)
  for (const [name, value] of passwords) expect(value, name).toMatch(/\$\{\w+_PASSWORD:\?[^}]+\}/)
})

test('ports on which passwords travel in clear text are open to this machine only, those of databases to nobody', () => {
  const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port] as const))
  expect(published.map(([name]) => name)).toEqual(published.map(() => 'clearbox'))
  const clear = published.map(([, port]) => port).filter((port) => /:(1883|8080)$/.test(port))
  expect(clear).toEqual(['127.0.0.1:1883:1883', '127.0.0.1:8080:8080'])
})

test('every service tells whether it is healthy: ours by its image', () => {
  for (const [name, { healthcheck, build }] of services) expect(healthcheck ?? build, name).toBeDefined()
  expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toMatch(/^HEALTHCHECK /m)
})

test('Redis, which nothing uses yet, starts only when it is asked for', () => {
  const unasked = services.filter(([, { profiles }]) => profiles === undefined).map(([name]) => name)
  expect(unasked).toEqual(['clearbox', 'postgres'])
  expect(environment.map(([name]) => name)).not.toContain('CLEARBOX_REDIS_URL')
})
