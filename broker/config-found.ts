/** A value that fits its setting; `where` names its place for people, such as `clearbox.yaml:3:11 mqtt.port`. */
export type Found = Readonly<{ value: unknown; where: string }>
