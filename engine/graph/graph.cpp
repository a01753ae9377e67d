namespace resnet {}
