// The image: built by the Dockerfile's own steps, run as an engine runs it, with the chart's own pod around it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { makeSelfSigned } from '../../broker/self-signed.ts'
import { type Container, type ContainerOptions, startContainer } from '../helpers/container.ts'
import { render } from '../helpers/helm.ts'
import { buildImage, type Image } from '../helpers/image.ts'
import { only, type PodSpec, podOf } from '../helpers/pod.ts'
import { type ScratchFolder, scratchFolder } from '../helpers/scratch-folder.ts'

/** Root (or CAP_SYS_ADMIN) may have mounts and networks of its own. */
const mayContain = spawnSync('unshare', ['--mount', '--pid', '--net', '--fork', 'true']).status === 0
const imageUser = 10001

describe.runIf(mayContain)('the image', () => {
  let image: Image
  let scratch: ScratchFolder
  beforeAll(async () => {
    image = await buildImage()
    scratch = await scratchFolder()
  }, 180_000)
  afterAll(async () => {
    await image.remove()
    await scratch.remove()
  })

  async function start(options: ContainerOptions): Promise<Container> {
    const container = await startContainer(image, options)
    onTestFinished(container.dispose)
    return container
  }

  /** A folder as the engine hands it over: a new volume is the user's own, Kubernetes gives it to the group. */
  async function volume(name: string, how: 'own' | 'fsGroup'): Promise<string> {
    const folder = join(scratch.path, name)
    await mkdir(folder)
    await chown(folder, how === 'own' ? imageUser : 0, imageUser)
    await chmod(folder, how === 'own' ? 0o700 : 0o2775)
    return folder
  }

  it('runs as a user without privileges whom `runAsNonRoot` can judge, and says what it is', () => {
    expect(image.user).toBe(`${imageUser}:${imageUser}`)
    expect(image.volumes).toEqual(['/data'])
    expect(image.ports.toSorted()).toEqual([1883, 5222, 5223, 8080, 8443, 8883])
    expect(image.labels).toMatchObject({
      'org.opencontainers.image.title': 'ClearBox',
      'org.opencontainers.image.licenses': 'MIT',
    })
  })

  it('holds what runs, and no sources, tools, data or caches', async () => {
    const { upper } = image.layer
    expect((await readdir(join(upper, 'app'))).sort()).toEqual([
      'LICENSE',
      'bin',
      'dist',
      'node_modules',
      'package.json',
    ])
    for (const tool of ['vitest', 'typescript', 'tsx', 'mqtt', '.cache']) {
      expect(existsSync(join(upper, 'app/node_modules', tool)), tool).toBe(false)
    }
    for (const folder of ['root', 'home', 'work', 'run']) expect(existsSync(join(upper, folder)), folder).toBe(false)
    expect(await readdir(join(upper, 'data'))).toEqual([])
    expect(await lstat(join(upper, 'data'))).toMatchObject({ uid: imageUser, gid: imageUser, mode: 0o40700 })
  })

  it('as process 1 on a root that cannot be written to: healthy, takes messages, ends on SIGTERM, keeps them', async () => {
    const mounts = { '/data': await volume('docker', 'own') }
    const first = await start({ mounts, env: { CLEARBOX_ADMIN_PASSWORD: 'admin-pw' } })
    expect(await first.uid()).toBe(imageUser)
    expect(await first.exec(image.healthcheck)).toMatchObject({ code: 0 })
    expect(await first.exec(['touch', '/app/x'])).toMatchObject({ code: 1 })
    expect(await first.exec(['clearbox', 'user', 'add', 'bob', '--password-stdin'], 'bob-pw\n')).toMatchObject({
      code: 0,
    })
    const send = ['mosquitto_pub', '-h', '127.0.0.1', '-u', 'bob', '-P', 'bob-pw', '-q', '1', '-t', 'u/admin/in']
    expect(await first.beside([...send, '-m', 'hello from bob'])).toMatchObject({ code: 0 })
    expect(await first.stop()).toEqual({ code: 0, signal: null })
    expect(first.output()).toContain('"msg":"stopped"')

    const second = await start({ mounts })
    const token = await logIn(second, 'admin', 'admin-pw')
    expect(await ask(second, '/v1/history?with=bob', token)).toMatchObject({ items: [{ text: 'hello from bob' }] })
    expect(await second.stop()).toEqual({ code: 0, signal: null })
  })

  it('in the pod of the chart: probes, metrics, certificate and password are those of the manifests', async () => {
    const manifests = render('--set', 'settings.domain=chat.example.org', '--set', 'tls.existingSecret=chat-tls')
    const pod = podOf(manifests)
    const [{ args = [], ports, startupProbe, readinessProbe }] = pod.containers
    const password = Buffer.from(only(manifests, 'Secret').data['admin-password'] ?? '', 'base64').toString()
    const config = await volume('config', 'fsGroup')
    await writeFile(join(config, 'clearbox.yaml'), only(manifests, 'ConfigMap').data['clearbox.yaml'] ?? '')
    const mounts = mountsOf(pod, {
      config,
      data: await volume('claim', 'fsGroup'),
      tmp: await volume('tmp', 'fsGroup'),
      tls: await secretVolume(await volume('tls', 'fsGroup'), makeCertificate('chat.example.org')),
    })
    const container = await start({ mounts, args, env: { ...plainEnv(pod), CLEARBOX_ADMIN_PASSWORD: password } })

    const portOf = (name: string) => ports.find((port) => port.name === name)?.containerPort
    for (const { httpGet } of [startupProbe, readinessProbe]) {
      await get(container, `http://127.0.0.1:${portOf(httpGet.port)}${httpGet.path}`)
    }
    expect(await get(container, `http://127.0.0.1:${portOf('metrics')}/metrics`)).toContain('# TYPE')
    const [ready = '{}'] = container.output().match(/^\{.*"msg":"ready".*\}$/m) ?? []
    const { listening, domain } = JSON.parse(ready) as { listening: { port: number }[]; domain: string }
    expect(domain).toBe('chat.example.org')
    expect(listening.map(({ port }) => port).sort()).toEqual(ports.map((port) => port.containerPort).sort())
    const https = await container.beside(['curl', '-sv', '--insecure', `https://127.0.0.1:${portOf('https')}/health`])
    expect(https.output).toMatch(/subject: CN=chat\.example\.org/)
    expect(await logIn(container, 'admin', password)).toEqual(expect.any(String))
    // As `kubectl exec` does.
    expect(await container.exec(['clearbox', 'user', 'list'])).toMatchObject({ code: 0 })
    expect(await container.stop()).toEqual({ code: 0, signal: null })
  })
})

async function get(container: Container, url: string, headers: readonly string[] = []): Promise<string> {
  const { code, output } = await container.beside(['curl', '-sS', '--fail-with-body', url, ...headers])
  if (code !== 0) throw new Error(`${url}: ${output}`)
  return output
}

async function ask(container: Container, path: string, token: string): Promise<unknown> {
  return JSON.parse(await get(container, `http://127.0.0.1:8080${path}`, ['-H', `authorization: Bearer ${token}`]))
}

async function logIn(container: Container, username: string, password: string): Promise<string> {
  const body = ['-H', 'content-type: application/json', '-d', JSON.stringify({ username, password })]
  const answer = await get(container, 'http://127.0.0.1:8080/v1/auth/login', body)
  return (JSON.parse(answer) as { accessToken: string }).accessToken
}

/** Each mount of the pod's container, with the folder that stands for its volume. */
function mountsOf(pod: PodSpec, folders: Readonly<Record<string, string>>): Record<string, string> {
  const mounts = pod.containers[0].volumeMounts.map(({ name, mountPath }) => [mountPath, folders[name]] as const)
  return Object.fromEntries(mounts.filter((mount): mount is readonly [string, string] => mount[1] !== undefined))
}

/** Without what comes from Secrets. */
function plainEnv(pod: PodSpec): Record<string, string> {
  const env = pod.containers[0].env ?? []
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])))
}

function makeCertificate(name: string): Readonly<{ 'tls.crt': string; 'tls.key': string }> {
  const dayMs = 86_400_000
  const { cert, key } = makeSelfSigned({
    names: [name],
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + dayMs),
  })
  return { 'tls.crt': cert, 'tls.key': key }
}

/** As Kubernetes lays a Secret out: links to a folder that is swapped when the Secret changes. */
async function secretVolume(folder: string, data: Readonly<Record<string, string>>): Promise<string> {
  const version = join(folder, '..2026_01_01')
  await mkdir(version, { mode: 0o755 })
  await symlink('..2026_01_01', join(folder, '..data'))
  for (const [name, text] of Object.entries(data)) {
    await writeFile(join(version, name), text)
    await chown(join(version, name), 0, imageUser)
    await chmod(join(version, name), 0o440)
    await symlink(`..data/${name}`, join(folder, name))
  }
  return folder
}
