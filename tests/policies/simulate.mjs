// Decides the cases that come as lines of JSON by @cloud-copilot/iam-simulate, and prints a line
// of JSON for each: node simulate.mjs FOLDER, where npm has installed it.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { resolve } from 'node:path'

const require = createRequire(pathToFileURL(resolve(process.argv[2], 'index.js')))
const { anonymousPrincipal, runSimulation } = require('@cloud-copilot/iam-simulate')

const named = (documents) => documents.map((policy, number) => ({ name: String(number), policy }))

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line)
  const answer = await runSimulation(
    {
      request: {
        principal: asked.caller || anonymousPrincipal,
        action: asked.action,
        resource: { resource: asked.resource, accountId: asked.owner },
        contextVariables: asked.context
      },
      identityPolicies: named(asked.identity),
      permissionBoundaryPolicies: asked.boundary ? named(asked.boundary) : undefined,
      sessionPolicy: asked.session ?? undefined,
      resourcePolicy: asked.resource_policy ?? undefined,
      serviceControlPolicies: [],
      resourceControlPolicies: []
    },
    {}
  )
  const told =
    answer.resultType === 'error' ? { error: answer.errors } : { result: answer.overallResult }
  process.stdout.write(JSON.stringify({ name: asked.name, ...told }) + '\n')
}
