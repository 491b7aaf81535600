// The parts of a pod, as the chart renders them, that tests look at.
import type { Manifest } from './helm.ts'

type Named<T> = readonly (Readonly<{ name: string }> & T)[]

export type Probe = Readonly<{ httpGet: Readonly<{ path: string; port: string }> }>

export type SecretRef = Readonly<{ name: string; key: string; optional?: boolean }>

export type PodContainer = Readonly<{
  name: string
  image: string
  args?: readonly string[]
  command?: readonly string[]
  env?: Named<Readonly<{ value?: string; valueFrom?: Readonly<{ secretKeyRef: SecretRef }> }>>
  ports: Named<Readonly<{ containerPort: number }>>
  startupProbe: Probe
  livenessProbe: Probe
  readinessProbe: Probe
  securityContext: Readonly<Record<string, unknown>>
  volumeMounts: Named<Readonly<{ mountPath: string; readOnly?: boolean }>>
}>

export type PodSpec = Readonly<{
  containers: readonly [PodContainer]
  volumes: Named<Readonly<Record<string, unknown>>>
  securityContext: Readonly<Record<string, unknown>>
  terminationGracePeriodSeconds: number
  enableServiceLinks: boolean
  automountServiceAccountToken: boolean
}>

export type ServiceSpec = Readonly<{
  type: string
  selector: Readonly<Record<string, string>>
  ports: readonly [Readonly<{ name: string; port: number; targetPort: string }>]
}>

type Workload = Readonly<{
  replicas: number
  selector: Readonly<{ matchLabels: Readonly<Record<string, string>> }>
  template: Readonly<{ metadata: Manifest['metadata']; spec: PodSpec }>
}>

/** @throws Error unless there is exactly one */
export function only(manifests: readonly Manifest[], kind: string): Manifest {
  const [found, ...more] = manifests.filter((manifest) => manifest.kind === kind)
  if (found === undefined || more.length > 0) throw new Error(`expected one ${kind}`)
  return found
}

/** The broker's StatefulSet or Deployment. */
export function workloadOf(manifests: readonly Manifest[]): Workload {
  const kind = manifests.some((manifest) => manifest.kind === 'Deployment') ? 'Deployment' : 'StatefulSet'
  return only(manifests, kind).spec as Workload
}

export const podOf = (manifests: readonly Manifest[]): PodSpec => workloadOf(manifests).template.spec

export function servicesOf(manifests: readonly Manifest[]): readonly (Manifest & Readonly<{ spec: ServiceSpec }>)[] {
  return manifests.filter((manifest) => manifest.kind === 'Service') as (Manifest & Readonly<{ spec: ServiceSpec }>)[]
}
