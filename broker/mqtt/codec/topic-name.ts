// MQTT 5 §4.7, §4.8.2; 3.1.1 §4.7: what topic names and filters may look like.
import { isShared } from '../../shared-filter.ts'

/** A name to publish to. */
export function isTopicName(name: string): boolean {
  return name !== '' && !/[+#]/.test(name)
}

/** A filter, or `$share/{name}/{filter}`, of the right form. */
export function isTopicFilter(filter: string): boolean {
  if (!isShared(filter)) return isPlainFilter(filter)
  const [, name = '', ...levels] = filter.split('/')
  if (name === '' || /[+#]/.test(name)) return false // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
  return isPlainFilter(levels.join('/'))
}

function isPlainFilter(filter: string): boolean {
  if (filter === '') return false // [MQTT-4.7.3-1]
  const levels = filter.split('/')
  return levels.every((level, index) => {
    if (level === '#') return index === levels.length - 1 // [MQTT-4.7.1-1]
    return level === '+' || !/[+#]/.test(level) // [MQTT-4.7.1-2]
  })
}
