// Writes one strict JSON Schema per kind of Kubernetes, for kubeconform: node scripts/kubernetes-schemas.js SWAGGER FOLDER
// The swagger.json is that of the Go module k8s.io/kubectl (testdata/openapi).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [swagger = '', folder = ''] = process.argv.slice(2)
const { definitions } = JSON.parse(readFileSync(swagger, 'utf8'))
for (const definition of Object.values(definitions)) {
  if (definition.properties) definition.additionalProperties ??= false
  if (definition.format === 'int-or-string') delete Object.assign(definition, { type: ['string', 'integer'] }).format
}
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'definitions.json'), JSON.stringify({ definitions }))
let count = 0
for (const [name, definition] of Object.entries(definitions)) {
  for (const { group, version, kind } of definition['x-kubernetes-group-version-kind'] ?? []) {
    const file = [kind, group.split('.')[0], version].filter(Boolean).join('-').toLowerCase()
    writeFileSync(join(folder, `${file}.json`), JSON.stringify({ $ref: `definitions.json#/definitions/${name}` }))
    count++
  }
}
console.log(`${count} kinds of Kubernetes`)
