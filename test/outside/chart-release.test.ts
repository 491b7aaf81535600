// What helm asks of the cluster, and what it tells people: a few answers of the API of Kubernetes stand for the cluster.
import { once } from 'node:events'
import { cp, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { chart, helmBeside, type Manifest, render, valuesOf } from '../helpers/helm.ts'
import { scratchFolder } from '../helpers/scratch-folder.ts'

/** An API server that knows one Secret. */
async function startApi(secret: Readonly<{ name: string; data: Readonly<Record<string, string>> }>): Promise<string> {
  const resource = { name: 'secrets', singularName: '', namespaced: true, kind: 'Secret', verbs: ['get'] }
  const { name, data } = secret
  const answers: Readonly<Record<string, unknown>> = {
    '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [resource] },
    [`/api/v1/namespaces/talk/secrets/${name}`]: { apiVersion: 'v1', kind: 'Secret', metadata: { name }, data },
  }
  const notFound = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 }
  const server = createServer((request, response) => {
    const answer = answers[request.url?.split('?')[0] ?? '']
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? notFound))
  })
  onTestFinished(() => void server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function upgradedSecret(api: string, ...more: readonly string[]): Promise<Manifest> {
  const target = ['--dry-run=server', '--kube-apiserver', api, '--namespace', 'talk']
  const args = ['template', 'chat', chart, ...target, '--show-only', 'templates/secret.yaml', ...more]
  return parse(await helmBeside(...args)) as Manifest
}

it('an upgrade keeps the password of admin that the first install made', async () => {
  const made = { 'admin-password': Buffer.from('made-by-the-first-install').toString('base64') }
  const api = await startApi({ name: 'chat-clearbox', data: made })
  expect((await upgradedSecret(api)).data).toEqual(made)
})

it('an upgrade takes the password that it is given', async () => {
  const data = { 'admin-password': Buffer.from('before').toString('base64') }
  const api = await startApi({ name: 'chat-clearbox', data })
  const secret = await upgradedSecret(api, '--set', 'credentials.adminPassword=after')
  expect(Buffer.from(secret.data['admin-password'] ?? '', 'base64').toString()).toBe('after')
})

/** Helm shows the notes after an install only: here they are a manifest. */
async function notesOf(...values: readonly string[]): Promise<string> {
  const folder = await scratchFolder()
  onTestFinished(folder.remove)
  const copied = join(folder.path, 'clearbox')
  await cp(chart, copied, { recursive: true })
  const templates = join(copied, 'templates')
  await rename(join(templates, 'NOTES.txt'), join(templates, '_notes.tpl'))
  const notes = await readFile(join(templates, '_notes.tpl'), 'utf8')
  await writeFile(join(templates, '_notes.tpl'), `{{- define "notes" }}${notes}{{- end }}`)
  await writeFile(join(templates, 'notes.yaml'), 'notes: {{ include "notes" . | toJson }}')
  const args = ['template', 'chat', copied, '--namespace', 'talk', '--show-only', 'templates/notes.yaml', ...values]
  return (parse(await helmBeside(...args)) as { notes: string }).notes
}

it.each([
  ['the embedded database', []],
  ['an external database', valuesOf('external')],
])('the notes tell how to send a first message, with names that exist, for %s', async (_name, values) => {
  const notes = await notesOf(...values)
  const names = render(...values).map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}`)
  const told = notes.match(/\b(service|statefulset|deployment)\/[\w-]+/g) ?? []
  expect(new Set(told).size).toBe(2)
  for (const name of told) expect(names).toContain(name)
  expect(notes).toContain(`get secret ${values.length === 0 ? 'chat-clearbox' : 'clearbox-credentials'} `)
  expect(notes).toContain('/v1/messages')
  expect(notes).not.toContain('{{')
})
